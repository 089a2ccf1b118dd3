/** Collects the faults of the settings, so that all of them are reported at once. */
import type { Refusal, SettingProblem } from './settings-error.ts'

export class SettingsReport {
  /** Faults that keep the broker from starting. */
  readonly problems: SettingProblem[] = []
  /** Faults with which it starts. */
  readonly warnings: SettingProblem[] = []

  refuse(setting: string, refusal: Refusal): void {
    this.problems.push({ setting, ...refusal })
  }

  warn(setting: string, warning: Refusal): void {
    this.warnings.push({ setting, ...warning })
  }

  /** A setting with a fault is not checked again: a secret in the wrong place is not also reported as "not a GUID". */
  has(setting: string): boolean {
    return [...this.problems, ...this.warnings].some((fault) => fault.setting === setting)
  }
}
