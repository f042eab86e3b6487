/** How to run a model, for each form that its folder holds. */

interface Usage {
  /** The Hub's `library_name`. */
  readonly library: string;
  readonly has: (file: string) => boolean;
  readonly title: string;
  readonly snippet: (id: string, files: readonly string[]) => { readonly language: string; readonly text: string };
}

const prompt = "Pruning a language model means";

const usages: readonly Usage[] = [
  {
    library: "transformers",
    has: (file) => /^model(-\d+-of-\d+)?\.safetensors$/.test(file),
    title: "Python",
    snippet: (id) => ({
      language: "python",
      text: `from transformers import pipeline

generate = pipeline("text-generation", model=${id})
print(generate("${prompt}", max_new_tokens=30, do_sample=False)[0]["generated_text"])`,
    }),
  },
  {
    library: "transformers.js",
    has: (file) => /^onnx[/\\].*\.onnx$/.test(file),
    title: "Node or a browser",
    snippet: (id) => ({
      language: "js",
      text: `import { pipeline } from "@huggingface/transformers";

const generate = await pipeline("text-generation", ${id});
const [{ generated_text }] = await generate("${prompt}", { max_new_tokens: 30, do_sample: false });
console.log(generated_text);`,
    }),
  },
  {
    library: "gguf",
    has: (file) => file.endsWith(".gguf"),
    title: "llama.cpp",
    snippet: (_, files) => ({
      language: "sh",
      text: `llama-cli -m '${files.find((file) => file.endsWith(".gguf"))!.replaceAll("'", "'\\''")}' -p '${prompt}' -n 30`,
    }),
  },
];

/** The library of the first form that is there, and a snippet for each. Prunelab opens every form by itself. */
export function usage(id: string, files: readonly string[]): { readonly library: string; readonly text: string } {
  const found = usages.filter(({ has }) => files.some(has));
  const quoted = JSON.stringify(id).replaceAll("`", "\\u0060");
  const parts = found.map(({ title, snippet }) => {
    const { language, text } = snippet(quoted, files);
    return `${title}:\n\n\`\`\`${language}\n${text}\n\`\`\``;
  });
  return {
    library: found[0]?.library ?? "prunelab",
    text: parts.length > 0 ? parts.join("\n\n") : "`openCheckpoint(folder)` of the npm package `prunelab` opens it.",
  };
}
