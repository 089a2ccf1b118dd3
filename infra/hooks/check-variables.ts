/** What can be said of the azd environment before anybody is asked: each fault with its variable and its mend. */
import { areProblems, parseFrontEnds } from '../../shared/settings/front-ends.schema.ts'
import { findSecret } from '../../shared/settings/secrets.ts'
import type { Refusal, SettingProblem } from '../../shared/settings/settings-error.ts'
import { declarations } from '../../shared/settings/declarations.ts'
import { checkEntraClientId } from '../../shared/settings/identifiers.ts'
import { messageOf } from '../../shared/settings/messages.ts'
import * as z from 'zod/mini'
import type { AzdEnvironment } from './azd.ts'
import { isDevelopment, isProduction } from './names.ts'

export function checkVariables(environment: AzdEnvironment): readonly SettingProblem[] {
  const problems: SettingProblem[] = []
  const refuse = (setting: string, refusal: Refusal | undefined) => {
    if (refusal) problems.push({ setting, ...refusal })
  }
  const check = (setting: string, declaration: { readonly schema: z.ZodMiniType<unknown, string> }) => {
    const value = environment.get(setting)
    if (value === undefined) return
    const parsed = z.safeParse(declaration.schema, value)
    const issue = parsed.error?.issues[0]
    if (issue) refuse(setting, messageOf(issue) ?? { problem: 'is not what is expected', fix: 'See docs/deploy.md.' })
  }

  for (const [name, value] of environment.entries()) {
    const secret = findSecret(name, value) ?? findSecret(`Broker__${name}`, value)
    if (secret) {
      refuse(name, {
        problem: secret.problem,
        fix: 'Delete it from the environment of azd (.azure/…/.env), and replace it, for it has been seen: the deployment needs no secret, and the key of the certificate never leaves Key Vault.',
      })
    }
  }

  if (!environment.get('AZURE_TENANT_ID') && !environment.get('BROKER_TENANT_ID')) {
    refuse('AZURE_TENANT_ID', {
      problem: 'is missing',
      fix: 'Run azd auth login, or: azd env set AZURE_TENANT_ID <tenant id>',
    })
  }
  for (const name of ['AZURE_ENV_NAME', 'AZURE_LOCATION', 'AZURE_SUBSCRIPTION_ID']) {
    if (!environment.get(name)) refuse(name, { problem: 'is missing', fix: `Run: azd env set ${name} <value>` })
  }
  check('AZURE_TENANT_ID', declarations.tenantId)
  check('BROKER_TENANT_ID', declarations.tenantId)
  const clientId = environment.get('BROKER_CLIENT_ID')
  if (clientId !== undefined) refuse('BROKER_CLIENT_ID', checkEntraClientId(clientId))
  check('BROKER_APPLICATION_OBJECT_ID', declarations.applicationObjectId)
  check('BROKER_SIGN_IN_SECONDS', declarations.signInSeconds)
  check('BROKER_SESSION_IDLE_SECONDS', declarations.sessionIdleSeconds)
  check('BROKER_SESSION_ABSOLUTE_SECONDS', declarations.sessionAbsoluteSeconds)
  check('BROKER_SESSION_CACHE_SECONDS', declarations.sessionCacheSeconds)
  check('BROKER_RESPONSE_MODE', declarations.responseMode)

  const frontEnds = parseFrontEnds(environment.get('BROKER_FRONT_ENDS') ?? '[]', 'BROKER_FRONT_ENDS')
  if (areProblems(frontEnds)) problems.push(...frontEnds)

  const registration = environment.get('BROKER_APP_REGISTRATION')
  if (registration !== undefined && registration !== 'manual') {
    refuse('BROKER_APP_REGISTRATION', { problem: 'is neither manual nor empty', fix: 'Write manual, or remove it.' })
  }
  if (registration === 'manual' && !environment.get('BROKER_CLIENT_ID')) {
    refuse('BROKER_CLIENT_ID', {
      problem: 'is missing, and BROKER_APP_REGISTRATION is manual',
      fix: 'Make the app registration (az ad app create --display-name "Certificate token broker" --sign-in-audience AzureADMyOrg), then: azd env set BROKER_CLIENT_ID <its Application (client) ID>',
    })
  }

  const name = environment.get('AZURE_ENV_NAME') ?? ''
  if (environment.get('BROKER_DEVELOPER_IDS') && isProduction(name)) {
    refuse('BROKER_DEVELOPER_IDS', {
      problem: 'would give people the permissions of the broker in an environment whose name says production',
      fix: 'Remove it, or use another environment.',
    })
  }
  if (environment.get('BROKER_LOCAL_CALLBACK') === 'true' && !isDevelopment(name)) {
    refuse('BROKER_LOCAL_CALLBACK', {
      problem: 'would send codes of this environment to laptops, and its name does not say development',
      fix: 'Remove it; an environment with dev in its name gets the local callback by itself.',
    })
  }
  for (const id of (environment.get('BROKER_DEVELOPER_IDS') ?? '').split(',').filter((one) => one.trim() !== '')) {
    if (!isGuid(id.trim())) refuse('BROKER_DEVELOPER_IDS', objectIdFix)
  }
  const officer = environment.get('BROKER_CERTIFICATE_OFFICER_ID')
  if (officer !== undefined && !isGuid(officer)) refuse('BROKER_CERTIFICATE_OFFICER_ID', objectIdFix)

  const domain = environment.get('BROKER_DOMAIN')
  if (domain !== undefined && !/^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$/.test(domain)) {
    refuse('BROKER_DOMAIN', {
      problem: 'is no domain name',
      fix: 'Write the name alone in small letters, without https:// and path: signin.example.com.',
    })
  }
  return problems
}

const objectIdFix: Refusal = {
  problem: 'is not an object id',
  fix: 'Write the Object ID from the page of the person or group in Entra ID; several with commas between.',
}

function isGuid(value: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value)
}
