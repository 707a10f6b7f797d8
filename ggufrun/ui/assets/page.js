// What Gradio has no event for. No framework, no build step.
