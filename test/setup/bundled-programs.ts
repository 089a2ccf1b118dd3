/**
 * Programs of the project as one file of JavaScript each, made once for a worker:
 * they start in a fraction of the time of their sources.
 */
import path from 'node:path'
import * as esbuild from 'esbuild'
import { inject } from 'vitest'

const root = path.join(import.meta.dirname, '..', '..')

const sources = {
  certificate: { contents: "import './certificate.ts'\n", folder: 'tools/certificate' },
} as const

type BundledProgram = keyof typeof sources

const made = new Map<BundledProgram, Promise<string>>()

/** @returns the path of the program, for `node` */
export async function bundledProgram(name: BundledProgram): Promise<string> {
  let program = made.get(name)
  if (program === undefined) {
    program = bundle(name)
    made.set(name, program)
  }
  return await program
}

async function bundle(name: BundledProgram): Promise<string> {
  const { contents, folder } = sources[name]
  const outfile = path.join(path.dirname(inject('hostProgram')), `${name}-${process.pid}.mjs`)
  await esbuild.build({
    stdin: { contents, resolveDir: path.join(root, folder), loader: 'ts' },
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    mainFields: ['module', 'main'],
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    logLevel: 'silent',
  })
  return outfile
}
