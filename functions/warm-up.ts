/**
 * Starts the warm-up of an instance once the host has registered the functions.
 *
 * The worker needs three round trips for that (initialise, metadata, one load for each function), and `import()` reads
 * and compiles an SDK before it returns. A warm-up in between delays every function: 365 ms until all were loaded,
 * where 204 ms are enough (host 4.1037, Node 24). 150 ms after the modules were loaded was late enough, 60 ms was not.
 */
const lateEnoughMilliseconds = 400

/** The part of the host's `app.hook` that is used here. */
interface Hook {
  readonly preInvocation: (handler: () => void) => { dispose(): void }
}

/**
 * Runs `warmUp` once: behind the first invocation, or after a pause where no request comes.
 *
 * @param hook of the host's app
 * @param warmUp must not throw
 */
export function warmUpAfterStart(hook: Hook, warmUp: () => Promise<void>): void {
  const start = () => {
    clearTimeout(timer)
    registered.dispose()
    // The handler of the first invocation runs first, up to its own first wait.
    setImmediate(() => void warmUp())
  }
  const timer = setTimeout(start, lateEnoughMilliseconds)
  timer.unref()
  const registered = hook.preInvocation(start)
}
