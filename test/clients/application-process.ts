/** An application that runs in a process of its own. */
import { spawn } from 'node:child_process'
import type { SpawnOptions } from 'node:child_process'

export interface ApplicationProcess {
  /** All that it has written so far. */
  readonly log: () => string
  readonly end: () => void
}

/**
 * Starts a program, and waits until its output has this text.
 *
 * @throws {Error} with its output, if it ends before
 */
export async function startApplication(
  [program, ...args]: readonly [string, ...string[]],
  options: Pick<SpawnOptions, 'cwd' | 'env'>,
  ready: string,
): Promise<ApplicationProcess> {
  const application = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  let log = ''
  await new Promise<void>((started, failed) => {
    application.once('error', failed)
    application.once('exit', (code) => failed(new Error(`${program} ${args.join(' ')} ended with ${code}: ${log}`)))
    for (const stream of [application.stdout, application.stderr])
      stream.on('data', (text: Buffer) => {
        log += String(text)
        if (log.includes(ready)) started()
      })
  })
  return { log: () => log, end: () => void application.kill() }
}
