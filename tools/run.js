/**
 * `node tools/run.js PROGRAM …`: runs a program of package.json's scripts in a bare clone too. PROGRAM is a path from the
 * root of the project.
 *
 * Plain JavaScript, so that an old Node can print a sentence that names the problem.
 */
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { bootstrap } from './bootstrap.js'

const [node, , program, ...args] = process.argv
const file = path.join(fileURLToPath(new URL('..', import.meta.url)), program)
// As where Node runs the program itself.
process.argv = [node, file, ...args]

void bootstrap(async () => {
  try {
    await import(pathToFileURL(file).href)
  } catch (error) {
    const { reportFailure } = await import('../local/program-failure.ts')
    process.exitCode = reportFailure(error)
  }
})
