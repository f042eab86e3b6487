/** The checker of the cells of one folder, without a kernel: nothing runs. */
import type { LanguageService } from "../server/language-service.ts";
import { startLanguageService } from "../server/language-service.ts";

/** The compiler finds modules from the current folder, so that is the notebook's meanwhile; not two at a time. */
export async function withLanguage<Result>(
  folder: string,
  use: (language: LanguageService) => Promise<Result>,
): Promise<Result> {
  const before = process.cwd();
  process.chdir(folder);
  const language = startLanguageService({ check: true });
  try {
    return await use(language);
  } finally {
    language.close();
    process.chdir(before);
  }
}
