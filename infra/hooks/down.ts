/** Around `azd down`: what stays behind, how to get it back, and the app registration, which is no Azure resource. */
import { createInterface } from 'node:readline/promises'
import { registrationModeOf, removeRegistration } from './app-registration.ts'
import type { AzdEnvironment } from './azd.ts'
import { vaultNameTaken } from './check-subscription.ts'
import type { Cloud } from './cloud.ts'
import { namesOf } from './names.ts'
import type { Report } from './report.ts'

export function predown(environment: AzdEnvironment, report: Report): void {
  const { vault } = namesOf(environment)
  report.row('Vault', `${vault} can be brought back until its retention ends; until then its name stays taken`)
  report.row('Certificate', 'comes back with the vault')
  report.row('Sessions', 'end for everybody: their rows and the key that wraps them go')
}

export async function postdown(environment: AzdEnvironment, connect: () => Cloud, report: Report): Promise<void> {
  const { vault } = namesOf(environment)
  for (const line of vaultNameTaken(vault).split('\n')) report.todo(line)

  const clientId = environment.get('BROKER_CLIENT_ID')
  if (clientId === undefined) return
  if (registrationModeOf(environment) !== 'made') {
    report.row('App registration', `${clientId} stays: it was not made here`)
    return
  }
  if (!(await isWanted(environment, clientId))) {
    report.row('App registration', `${clientId} stays`)
    report.todo(`To remove the app registration too: az ad app delete --id ${clientId}`)
    return
  }
  if (await removeRegistration(connect(), environment)) {
    for (const name of ['BROKER_CLIENT_ID', 'BROKER_APPLICATION_OBJECT_ID', 'BROKER_APP_UNIQUE_NAME']) {
      await environment.set(name, '')
    }
    report.row('App registration', `${clientId} removed; Entra keeps it for 30 days`)
  } else {
    report.row('App registration', `${clientId} may not be removed by you`)
    report.todo(`az ad app delete --id ${clientId}`)
  }
}

/** By the variable, or by asking; where nobody can answer, nothing is removed. */
async function isWanted(environment: AzdEnvironment, clientId: string): Promise<boolean> {
  const said = environment.get('BROKER_REMOVE_APP_REGISTRATION')
  if (said !== undefined) return said === 'true'
  if (!process.stdin.isTTY) return false
  const questions = createInterface({ input: process.stdin, output: process.stdout })
  try {
    return /^y(es)?$/i.test((await questions.question(`Remove the app registration ${clientId} too? (y/N) `)).trim())
  } finally {
    questions.close()
  }
}
