/**
 * `npm start`: everything on loopback, and a card that says what runs where. `--port N` moves the broker, `--port 0`
 * takes free ports for all; `--json` prints one line for programs; `--without-broker` is `npm run local`.
 */
import { existsSync } from 'node:fs'
import path from 'node:path'

// What is missing in a half-installed tree would otherwise end this program with a stack before its first line.
const sentence = whatIsMissing()
if (sentence !== undefined) {
  console.error(sentence)
  process.exit(2)
}
const { run } = await import('./run.ts')
await run(process.argv.slice(2))

function whatIsMissing(): string | undefined {
  const major = Number(process.versions.node.split('.')[0])
  if (major < 24) {
    return `This is Node ${process.versions.node}, and the project runs on 24. Start it by npm start, which takes the Node 24 that npm ci installed.`
  }
  const root = path.join(import.meta.dirname, '..')
  const packages = ['@azure/functions', 'azurite', 'esbuild', 'oidc-provider', 'zod', '@peculiar/x509']
  const missing = packages.filter((name) => !existsSync(path.join(root, 'node_modules', name, 'package.json')))
  return missing.length === 0 ? undefined : `Not installed, or only half: ${missing.join(', ')} missing. Run: npm ci`
}
