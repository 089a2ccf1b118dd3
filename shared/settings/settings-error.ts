/** The faults of the settings, reported all at once: by name, with the fix, and never with a value. */

/**
 * A faulty setting. `problem` continues a sentence after the name ("is missing");
 * `fix` is a sentence with the correction.
 */
export interface SettingProblem {
  /** The setting's name, followed by the place inside a JSON setting: `Broker__FrontEnds[0].origins[1]`. */
  readonly setting: string
  readonly problem: string
  readonly fix: string
}

/** The result of a check that refuses a value. */
export type Refusal = Omit<SettingProblem, 'setting'>

/** One line for a log or a terminal. */
export function describeProblem({ setting, problem, fix }: SettingProblem): string {
  return `${setting} ${problem}. ${fix}`
}

/** Thrown by `parseSettings`. Its message contains no value, so it may be shown and logged. */
export class SettingsError extends Error {
  readonly problems: readonly SettingProblem[]

  constructor(problems: readonly SettingProblem[]) {
    const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`
    const lines = problems.map((problem) => `- ${describeProblem(problem)}`)
    super([`The settings have ${count}:`, ...lines].join('\n'))
    this.name = 'SettingsError'
    this.problems = problems
  }
}
