/**
 * Loads `node:http` and `node:https` by `process.getBuiltinModule` in place of `import`.
 *
 * For an import, Node reads every member of the module to make an ES module of it. `node:http` loads undici for its
 * members `WebSocket`, `CloseEvent` and `MessageEvent`: 15 to 29 ms of CPU time and 25 modules of Node, before the
 * functions are registered. Other modules gain less than the extra chunks cost.
 */
import type { Plugin } from 'esbuild'

export const httpWithoutUndici: Plugin = {
  name: 'node:http without undici',
  setup: (build) => {
    build.onResolve({ filter: /^(node:)?https?$/ }, ({ path: name }) => ({
      path: name.startsWith('node:') ? name : `node:${name}`,
      namespace: 'module of Node',
    }))
    build.onLoad({ filter: /.*/, namespace: 'module of Node' }, ({ path: name }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(name)})`,
    }))
  },
}
