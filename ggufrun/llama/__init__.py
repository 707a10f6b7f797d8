"""The only package that imports llama_cpp: models, contexts, samplers, vocabularies behind the engine's seams."""
