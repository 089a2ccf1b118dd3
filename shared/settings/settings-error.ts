/** What is wrong with the settings, all of it at once: by name, with the fix, and never with a value. */

/** One bad setting. `problem` follows the name ("is missing"), `fix` is a sentence that says what to write instead. */
export interface SettingProblem {
  /** The setting's name; a place inside a JSON setting stands behind it: `Broker__FrontEnds[0].origins[1]`. */
  readonly setting: string
  readonly problem: string
  readonly fix: string
}

/** What a check of one value answers when it refuses it. */
export type Refusal = Omit<SettingProblem, 'setting'>

/** Thrown by `parseSettings`. Its message may be shown and logged: it repeats no value. */
export class SettingsError extends Error {
  readonly problems: readonly SettingProblem[]

  constructor(problems: readonly SettingProblem[]) {
    const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`
    const lines = problems.map(({ setting, problem, fix }) => `- ${setting} ${problem}. ${fix}`)
    super([`The settings have ${count}:`, ...lines].join('\n'))
    this.name = 'SettingsError'
    this.problems = problems
  }
}
