/** `npm test`: all tests, or what the arguments of vitest name; `--soak` for `npm run soak`. */
import { fileURLToPath } from 'node:url'
import { bootstrap } from '../tools/bootstrap.js'

void bootstrap(async () => {
  const [character] = /[#?%]/.exec(fileURLToPath(new URL('..', import.meta.url))) ?? []
  if (character !== undefined) {
    console.error(`The path of this folder contains ${character}, and Vitest finds no file in it. Rename the folder.`)
    process.exitCode = 2
    return
  }
  const given = process.argv.slice(2)
  if (given.includes('--soak')) process.env.SOAK_SHARE = '1'
  const args = given.flatMap((one) => (one === '--soak' ? ['test/soak'] : [one]))
  process.argv = [...process.argv.slice(0, 2), 'run', ...args]
  await import(new URL('../node_modules/vitest/vitest.mjs', import.meta.url).href)
})
