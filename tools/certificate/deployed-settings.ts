/** The settings of the deployed broker, as far as azd's environment has them. */
import { declarations } from '../../shared/settings/declarations.ts'

/** The members of BROKER_PARAMETERS that are settings: infra/hooks/parameters.ts writes them. */
interface Parameters {
  readonly brokerSettings?: Readonly<Record<string, string>>
  readonly applicationObjectId?: string
  readonly clientId?: string
  readonly wrappingKeyName?: string
}

/**
 * @param variables of azd's environment: the outputs of the template, and the parameters of the last provisioning
 * @returns by the names of the settings; nothing for what azd does not have
 */
export function deployedSettings(
  variables: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string | undefined>> {
  const { brokerSettings, applicationObjectId, clientId, wrappingKeyName } = parametersOf(variables)
  return {
    ...brokerSettings,
    [declarations.applicationObjectId.name]: applicationObjectId,
    [declarations.clientId.name]: clientId,
    [declarations.wrappingKeyName.name]: wrappingKeyName,
    [declarations.vaultUrl.name]: variables['BROKER_VAULT_URL'],
    [declarations.certificateName.name]: variables['BROKER_CERTIFICATE_NAME'],
    [declarations.tableServiceUri.name]: variables['BROKER_TABLE_SERVICE_URI'],
  }
}

function parametersOf({ BROKER_PARAMETERS: text = '' }: Readonly<Record<string, string | undefined>>): Parameters {
  try {
    return JSON.parse(Buffer.from(text, 'base64').toString('utf8')) as Parameters
  } catch {
    return {}
  }
}
