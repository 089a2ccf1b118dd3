/**
 * Rules for the predicted resources of every deployment. The linter checks none of this. A rule returns its violations
 * as sentences; mutants.ts has at least one changed template for each rule.
 */
import { appRules } from './app-rules.ts'
import { monitoringRules } from './monitoring-rules.ts'
import { networkRules } from './network-rules.ts'
import type { Rule } from './predicted-resources.ts'
import { vaultRules } from './vault-rules.ts'

/** The snapshots that are committed: public network, the same in the second pass, private network behind Front Door. */
export const reviewedSnapshots = ['default', 'default-second', 'private']

export const rules: readonly Rule[] = [...vaultRules, ...appRules, ...monitoringRules, ...networkRules]
