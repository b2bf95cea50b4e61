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

    limits:
    - name: team, a month
      subject: group                        # everyone, key, group, email, model, provider, tag
      group: team                           # a key's, group's or provider's name, or `value`; none: each of them
      most_cost: '100'                      # USD; most_count for another metric
      notify_url: https://ops.example/hooks
      secret: env:LIMITS_WEBHOOK            # signs what that address is told

API keys are not in it: they are minted, and nobody but their holder has one. A limit of a key that is not there is left
out, and a note says so. A limit that is to count something else begins anew.
"""
