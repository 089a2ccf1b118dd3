/** When a program of `local/` has to end: on Ctrl-C, on SIGTERM, or when npm above it has ended. */

// Read at the start: once npm has ended, the parent is another process.
const parent = process.ppid

/** Calls `shutDown`, perhaps more than once. */
export function onShutdown(shutDown: () => void): void {
  process.on('SIGINT', shutDown).on('SIGTERM', shutDown)
  onOrphaned(shutDown)
}

/** npm sends a SIGTERM to its shell, which ends and does not pass it on: the only sign is another parent process. */
export function onOrphaned(shutDown: () => void): void {
  setInterval(() => process.ppid === parent || shutDown(), 300).unref()
}
