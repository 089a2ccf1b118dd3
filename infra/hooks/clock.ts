/** The time of a hook: a test replaces it, so that no test waits for minutes. */
export interface Clock {
  now(): number
  wait(milliseconds: number): Promise<void>
}
