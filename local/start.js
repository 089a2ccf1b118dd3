/**
 * `npm start`: everything on loopback, and a card that says what runs where. `--port N` moves the broker, `--port 0`
 * takes free ports for all; `--json` prints one line for programs; `--without-broker` is `npm run local`.
 *
 * Plain JavaScript, because an older Node would end at the first type with an error that says nothing to anybody.
 */
import { existsSync } from 'node:fs'
import path from 'node:path'

const sentence = whatIsMissing()
if (sentence !== undefined) {
  console.error(sentence)
  process.exit(2)
}
const { run } = await import('./run.ts')
await run(process.argv.slice(2))

/** What is missing in a half-installed tree would otherwise be a stack before the first line. */
function whatIsMissing() {
  const root = path.join(import.meta.dirname ?? '.', '..')
  const packages = ['node', '@azure/functions', 'azurite', 'esbuild', 'oidc-provider', 'zod', '@peculiar/x509']
  const missing = packages.filter((name) => !existsSync(path.join(root, 'node_modules', name, 'package.json')))
  if (missing.length > 0) return `Not installed, or only half: ${missing.join(', ')} missing. Run: npm ci`
  if (!existsSync(path.join(root, 'node_modules/node/bin'))) {
    return 'The package node has no binary: its install script did not run. Run npm ci again; if npm is told to ignore scripts, allow them for this project.'
  }
  if (Number(process.versions.node.split('.')[0]) >= 24) return undefined
  return `This is Node ${process.versions.node}, and the project runs on 24. Start it by npm start, which takes the Node 24 that npm ci installed.`
}
