/** JSON files that the hooks write below the root of the project. */
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { HookContext } from './context.ts'

/** JSON as the project's files have it: indented, with a final line break. */
export function jsonText(content: unknown): string {
  return `${JSON.stringify(content, null, 2)}\n`
}

/** @param name from the root of the project, with forward slashes; missing folders are created */
export async function writeProjectFile(projectFolder: string, name: string, text: string): Promise<void> {
  const file = path.join(projectFolder, name)
  await mkdir(path.dirname(file), { recursive: true })
  await writeFile(file, text)
}

/**
 * Writes a file beside azd's own of the environment, which git ignores, for a command that a person or a pipeline runs.
 *
 * @returns its name from the root of the project
 */
export async function writeCommandFile(
  { environment, projectFolder }: Pick<HookContext, 'environment' | 'projectFolder'>,
  fileName: string,
  content: unknown,
): Promise<string> {
  const name = `.azure/${environment.get('AZURE_ENV_NAME') ?? ''}/${fileName}`
  await writeProjectFile(projectFolder, name, jsonText(content))
  return name
}
