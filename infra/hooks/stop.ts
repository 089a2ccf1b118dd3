/** What ends a hook, and with it the deployment, before anything is deployed. */
import type { SettingProblem } from '../../shared/settings/settings-error.ts'

/** The message is for the person who deploys: what is wrong, and what to do. It repeats no value that may be secret. */
export class HookStop extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'HookStop'
  }
}

/** All that is wrong with the variables, at once. */
export function stopFor(problems: readonly SettingProblem[]): HookStop {
  const lines = problems.map(({ setting, problem, fix }) => `- ${setting} ${problem}. ${fix}`)
  return new HookStop(['Nothing was deployed. To be mended first:', ...lines].join('\n'))
}
