"""Remote engines as chat models: vLLM, llama-server, another ggufrun, Mistral's API, and what speaks like OpenAI"""
