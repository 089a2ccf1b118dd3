/**
 * Puts everything that each stage of a start imports statically into one chunk.
 *
 * esbuild makes a chunk for each set of entry points that share a module, and each `import()` is an entry point: a
 * start read 26 files, and each costs 0.25 ms of CPU time. With this plugin each lazily imported module also imports
 * the stages before it, so all have the same set. At run time these imports do nothing, since the stages were evaluated
 * before.
 */
import path from 'node:path'
import type { Plugin } from 'esbuild'

/** @param stages absolute paths: the entry point, then a module that it imports lazily before any other */
export function oneStartChunk(stages: readonly string[]): Plugin {
  return {
    name: 'one chunk to start',
    setup: (build) => {
      build.onResolve({ filter: /^\./ }, ({ path: file, kind, importer, resolveDir }) => {
        if (kind !== 'dynamic-import' || importer.includes(`${path.sep}node_modules${path.sep}`)) return undefined
        return { path: path.resolve(resolveDir, file), namespace: 'lazy' }
      })
      build.onLoad({ filter: /.*/, namespace: 'lazy' }, ({ path: file }) => {
        const before = stages.includes(file) ? stages.slice(0, stages.indexOf(file)) : stages
        const lines = before.map((stage) => `import ${JSON.stringify(stage)}`)
        return {
          contents: [...lines, `export * from ${JSON.stringify(file)}`].join(';'),
          resolveDir: path.dirname(file),
        }
      })
    },
  }
}
