/** The least that a function app can be: what registering costs before there is anything of ours in it. */
import { app } from '@azure/functions'
import { answer } from './answer.ts'

app.http('hello', {
  route: 'hello',
  methods: ['GET'],
  authLevel: 'anonymous',
  handler: () => Promise.resolve({ ...answer }),
})
