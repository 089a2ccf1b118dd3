/** The functions host as one file of JavaScript, for measuring: stripping the types of its own sources costs more CPU than the broker's whole start. */
import path from 'node:path'
import * as esbuild from 'esbuild'

/**
 * Writes the host's program, which accepts the arguments of `main.ts`.
 *
 * @param outfile ends in `.mjs`; pass it to `startHostProcess` as `hostProgram`
 */
export async function bundleFunctionsHost(outfile: string): Promise<void> {
  await esbuild.build({
    entryPoints: [path.join(import.meta.dirname, 'main.ts')],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    logLevel: 'silent',
  })
}
