/**
 * `npm start`: everything on loopback, and a card that says what runs where. `--port N` moves the broker, `--port 0`
 * takes free ports for all; `--json` prints one line for programs; `--without-broker` is `npm run local`.
 *
 * Plain JavaScript, because an older Node would end at the first type with an error that says nothing to anybody.
 */
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const sentence = whatIsMissing()
if (sentence !== undefined) {
  console.error(sentence)
  process.exit(2)
}
const { run } = await import('./run.ts')
await run(process.argv.slice(2))

/** What is missing in a half-installed tree would otherwise be a stack before the first line. */
function whatIsMissing() {
  // No import.meta.dirname: an older Node has none.
  const root = fileURLToPath(new URL('..', import.meta.url))
  const missing = installed(root).filter((folder) => !existsSync(path.join(root, folder, 'package.json')))
  if (missing.length > 0) {
    const [first, ...others] = missing.map((folder) => folder.replace(/^.*node_modules\//, ''))
    return `Not installed, or only half: ${first}${others.length > 0 ? ` and ${others.length} more` : ''} missing. Run: npm ci`
  }
  if (!existsSync(path.join(root, 'node_modules/node/bin'))) {
    return 'The package node has no binary: its install script did not run. Run npm ci again; if npm is told to ignore scripts, allow them for this project.'
  }
  if (Number(process.versions.node.split('.')[0]) >= 24) return undefined
  return `This is Node ${process.versions.node}, and the project runs on 24. Start it by npm start, which takes the Node 24 that npm ci installed.`
}

/** Folders of packages: what npm wrote down at the end of an installation, otherwise at least what the project names. */
function installed(root) {
  const read = (file) => JSON.parse(readFileSync(path.join(root, file), 'utf8'))
  try {
    // An optional one may be missing where its download failed, as Core Tools' does offline.
    return Object.entries(read('node_modules/.package-lock.json').packages).flatMap(([folder, { optional }]) =>
      optional ? [] : [folder],
    )
  } catch {
    const { dependencies, devDependencies } = read('package.json')
    return Object.keys({ ...dependencies, ...devDependencies }).map((name) => `node_modules/${name}`)
  }
}
