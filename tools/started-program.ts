/** For a module that is a program and that other modules import too. */
import { realpathSync } from 'node:fs'

/**
 * True for the program that Node or tools/run.js was started with. `import.meta.main` is true only where Node itself
 * started the module.
 *
 * @param file `import.meta.filename` of the module
 */
export function isStartedProgram(file: string): boolean {
  const [, started] = process.argv
  return started !== undefined && realpathSync(started) === file
}
