/** The settings of the deployed broker, as far as azd's environment has them. */
import { readParameters } from '../../infra/hooks/parameters.ts'
import { declarations } from '../../shared/settings/declarations.ts'

/** The members of BROKER_PARAMETERS that are settings. */
interface SettingParameters {
  readonly brokerSettings?: Readonly<Record<string, string>> | undefined
  readonly applicationObjectId?: string | undefined
  readonly clientId?: string | undefined
  readonly wrappingKeyName?: string | undefined
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

function parametersOf(variables: Readonly<Record<string, string | undefined>>): SettingParameters {
  try {
    return readParameters({ get: (name) => variables[name] || undefined })
  } catch {
    return {}
  }
}
