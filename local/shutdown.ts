/**
 * Shutdown of a program of `local/`: on Ctrl-C, on SIGTERM, when its terminal or the reader of its output has ended, or
 * when the npm process that started it has ended.
 */

// Read at the start: once npm has ended, the parent is another process.
const parent = process.ppid

/** Calls `shutDown` for each of these events, so it may run more than once. */
export function onShutdown(shutDown: () => void): void {
  process.on('SIGINT', shutDown).on('SIGTERM', shutDown).on('SIGHUP', shutDown)
  for (const output of [process.stdout, process.stderr]) {
    output.on('error', (error: NodeJS.ErrnoException) => {
      // Of a pipe into `head`, and of a terminal.
      if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error
      shutDown()
    })
  }
  onOrphaned(shutDown)
}

/** npm sends a SIGTERM to its shell, which ends and does not pass it on: the only sign is another parent process. */
export function onOrphaned(shutDown: () => void): void {
  setInterval(() => process.ppid === parent || shutDown(), 300).unref()
}
