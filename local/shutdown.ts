/** How a program of `local/` learns that it has to end: by Ctrl-C, by SIGTERM, or because npm has gone from above it. */

// At the start: who looks only later, when npm has gone already, takes its successor for it.
const parent = process.ppid

/** Calls `end`, perhaps more than once. */
export function onEnd(end: () => void): void {
  process.on('SIGINT', end).on('SIGTERM', end)
  onOrphaned(end)
}

/** npm passes a SIGTERM on to its shell, which dies of it without telling us: we only see that we are an orphan. */
export function onOrphaned(end: () => void): void {
  setInterval(() => process.ppid === parent || end(), 300).unref()
}
