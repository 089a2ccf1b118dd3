/** Once for all test files: the bundle that is deployed, the functions host that serves it, the hooks, and one Azurite. */
import { mkdtemp, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import * as esbuild from 'esbuild'
import type { TestProject } from 'vitest/node'
import { startStorageEmulator } from '../../local/azurite.ts'
import { bundleFunctionsHost } from '../../local/functions-host/bundle-host.ts'
import { build } from '../../tools/build.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** The folder of the built bundle. */
    dist: string
    entryBytes: number
    totalBytes: number
    /** The functions host as one file of JavaScript: it starts in a third of the time of its sources. */
    hostProgram: string
    /** The deployment's hooks as one file; it takes the arguments of infra/hooks/start.mjs. */
    hooksProgram: string
    /** Azurite's table service, with its account. */
    tableServiceUri: string
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'broker-test-'))
  const dist = path.join(folder, 'dist')
  const hostProgram = path.join(folder, 'host.mjs')
  const hooksProgram = path.join(folder, 'hooks.mjs')
  const [built, tables] = await Promise.all([
    build({ outdir: dist }),
    startStorageEmulator('table', 0),
    bundleFunctionsHost(hostProgram),
    bundleHooks(hooksProgram),
  ])
  project.provide('dist', dist)
  project.provide('entryBytes', built.entryBytes)
  project.provide('totalBytes', built.totalBytes)
  project.provide('hostProgram', hostProgram)
  project.provide('hooksProgram', hooksProgram)
  project.provide('tableServiceUri', tables.url)
  return async () => {
    await tables.close()
    await rm(folder, { recursive: true, force: true })
  }
}

/** Without the checks of infra/hooks/start.mjs, which concern an old Node and missing packages. */
async function bundleHooks(outfile: string): Promise<void> {
  const folder = path.join(import.meta.dirname, '..', '..', 'infra', 'hooks')
  await esbuild.build({
    stdin: {
      contents: "import { run } from './run.ts'\nprocess.exitCode = await run(process.argv[2] ?? '')\n",
      resolveDir: folder,
      loader: 'ts',
    },
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    mainFields: ['module', 'main'],
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    logLevel: 'silent',
  })
}
