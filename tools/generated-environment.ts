/** The published schema of an environment's configuration, from the schema that the hooks check it by. */
import * as z from 'zod/mini'
import { configurationSchema } from '../infra/hooks/configuration.schema.ts'
import { configurableSettings } from '../infra/hooks/configuration-settings.ts'

/** docs/environment.schema.json: JSON Schema 2020-12 of infra/environments/<name>.json. */
export function publishedEnvironmentSchema(): string {
  const schema = z.toJSONSchema(configurationSchema, { target: 'draft-2020-12', io: 'input' })
  const settings = schema.properties?.['settings']
  // The names come from the settings' declarations, so that an editor offers them.
  if (typeof settings === 'object') settings.propertyNames = { enum: [...configurableSettings] }
  return JSON.stringify(schema)
}
