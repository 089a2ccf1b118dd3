/** Ends a hook, and with it the deployment. */
import type { SettingProblem } from '../../shared/settings/settings-error.ts'

/** The message is for the person who deploys: what is wrong, and what to do. It repeats no value that may be secret. */
export class HookStop extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'HookStop'
  }
}

/** One stop for all problems of the configuration. */
export function stopFor(problems: readonly SettingProblem[], fileName: string): HookStop {
  const lines = problems.map(({ setting, problem, fix }) => `- ${setting} ${problem}. ${fix}`)
  return new HookStop([`Nothing was deployed. Correct these first (members are of ${fileName}):`, ...lines].join('\n'))
}
