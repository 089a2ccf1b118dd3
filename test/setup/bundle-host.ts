/**
 * Bundles the local functions host into one file of JavaScript for tests and benchmarks: stripping the types of its
 * sources costs more CPU than the broker's whole start.
 */
import path from 'node:path'
import * as esbuild from 'esbuild'

import { httpWithoutUndici } from '../../tools/http-without-undici.ts'

/**
 * Writes the host's program, which accepts the arguments of `main.ts`.
 *
 * @param outfile ends in `.mjs`; pass it to `startHostProcess` as `hostProgram`
 */
export async function bundleFunctionsHost(outfile: string): Promise<void> {
  await esbuild.build({
    entryPoints: [path.join(import.meta.dirname, '../../local/functions-host/main.ts')],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    logLevel: 'silent',
    // As in the real worker, which is CommonJS: undici is not loaded before the app needs it.
    plugins: [httpWithoutUndici],
  })
}
