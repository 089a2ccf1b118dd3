/**
 * Writes the files that are generated from declarations in the code: `npm run generate`. With `--check` it only
 * compares, and exits with 1 when a file differs.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { format, resolveConfig } from 'prettier'
import { clientPage, generatedModule } from './browser-client.ts'
import { publishedEnvironmentSchema } from './generated-environment.ts'
import { errorsPage } from './generated-errors.ts'
import { openApi } from './openapi/document.ts'
import {
  exampleSettings,
  publishedFrontEndsSchema,
  publishedProvidersSchema,
  settingsPage,
} from './generated-settings.ts'
import { isStartedProgram } from './started-program.ts'

interface GeneratedFile {
  /** From the root of the project. */
  readonly path: string
  readonly content: () => string
}

/** Every generated file; the drift test checks each of them. */
export const generatedFiles: readonly GeneratedFile[] = [
  { path: 'local.settings.example.json', content: exampleSettings },
  { path: 'docs/settings.md', content: settingsPage },
  { path: 'docs/front-ends.schema.json', content: publishedFrontEndsSchema },
  { path: 'docs/providers.schema.json', content: publishedProvidersSchema },
  { path: 'docs/environment.schema.json', content: publishedEnvironmentSchema },
  { path: 'docs/errors.md', content: errorsPage },
  { path: 'docs/openapi.json', content: openApi },
  { path: 'docs/browser-client.md', content: clientPage },
  { path: 'functions/browser-client.generated.ts', content: generatedModule },
]

const root = join(import.meta.dirname, '..')

/** The content of the file, formatted like the rest of the repository. */
async function render({ path, content }: GeneratedFile): Promise<string> {
  const file = join(root, path)
  return format(content(), { ...(await resolveConfig(file)), filepath: file })
}

/** Paths of files that are missing or differ from the code. */
export async function findDrift(files: readonly GeneratedFile[] = generatedFiles): Promise<readonly string[]> {
  const drifted: string[] = []
  for (const file of files) {
    const written = await readFile(join(root, file.path), 'utf8').catch(() => undefined)
    if (written !== (await render(file))) drifted.push(file.path)
  }
  return drifted
}

if (isStartedProgram(import.meta.filename)) {
  const drifted = await findDrift()
  if (process.argv.includes('--check')) {
    if (drifted.length > 0) {
      console.error(`These files differ from the code: ${drifted.join(', ')}. Run: npm run generate`)
      process.exitCode = 1
    }
  } else {
    for (const file of generatedFiles) await writeFile(join(root, file.path), await render(file))
    console.log(drifted.length === 0 ? 'All files are up to date.' : `Written: ${drifted.join(', ')}.`)
  }
}
