// node infra/hooks/start.mjs HOOK: azd runs this. Plain JavaScript,
// so that a Node that is too old still prints a sentence.
import { existsSync } from 'node:fs'

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
const hooks = ['outputs', 'preprovision', 'postprovision', 'predeploy', 'postdeploy', 'predown', 'postdown']
const [hook = ''] = process.argv.slice(2)

if (major < 22 || (major === 22 && minor < 18) || (major === 23 && minor < 6)) {
  stop(
    `This is Node ${process.versions.node}, which is too old for the hooks of the deployment. They need Node 22.18 or newer; the project uses 24.`,
  )
} else if (!hooks.includes(hook)) {
  stop(`There is no hook ${hook}. The hooks are ${hooks.join(', ')}.`)
} else if (!existsSync(new URL('../../node_modules/@azure/identity/package.json', import.meta.url))) {
  stop('The packages of the project are not installed. Run: npm ci')
} else {
  const { run } = await import('./run.ts')
  process.exitCode = await run(hook)
}

/** @param {string} sentence */
function stop(sentence) {
  console.error(sentence)
  process.exitCode = 1
}
