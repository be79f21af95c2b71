import gradio as gr

with gr.Blocks(title="Greetings") as demo:
    gr.Markdown("Hello!")

if __name__ == "__main__":
    demo.launch()
