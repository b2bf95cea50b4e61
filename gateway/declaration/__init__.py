"""A gateway's set-up as a text file: providers, the names of their keys, models, groups and what these may call.

It says what is, not what to do: importing it twice changes nothing the second time. A row that it names is as it says
in every field, and a field that it leaves out has its default; rows that it does not name stay, unless pruned.

    version: 1
    providers:
    - name: OpenAI
      requester: openai-chat-completions
      keys:
      - name: default
        secret: env:OPENAI_API_KEY        # or file:/run/secrets/openai; a file never holds the secret itself
      models:
      - name: gpt-4o
        kind: llm
        price_in: '2.50'                  # USD per million tokens
        price_out: '10'
    groups:
    - name: team
      models: [gpt-4o]                    # all of that name; {name:, provider:, kind:} for one of them

API keys are not in it: they are minted, and nobody but their holder has one.
"""
