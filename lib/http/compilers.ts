// How our routes validate and serialize: strictly, and apart from whatever compilers the host has set for its own.
import type { FastifyInstance, FastifySchemaCompiler, FastifySerializerCompiler } from 'fastify'
import type { TSchema } from '@sinclair/typebox'
import { Value, type ValueError } from '@sinclair/typebox/value'
import { shownName, wrongField } from '../fields.js'

/** Makes a scope validate and serialize TypeBox schemas, and read JSON bodies only. */
export function useOurCompilers (scope: FastifyInstance): void {
  scope.setValidatorCompiler(validatorCompiler)
  scope.setSerializerCompiler(serializerCompiler)
  scope.setSchemaErrorFormatter((faults, context) => {
    const { instancePath, message } = faults[0]!
    return wrongField(instancePath.slice(1).replaceAll('/', '.') || context, message!)
  })
  const parse = scope.getDefaultJsonParser('error', 'error')
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    // A client that always sends the content type, even without a body, means no body.
    if (body === '') {
      done(null, undefined)
      return
    }
    parse(request, body as string, (error, value) => {
      // JSON's `null` would read as no body further on.
      if (error === null && value === null) done(wrongField('body', 'must be object'))
      else done(error, value)
    })
  })
}

/** Nothing is coerced and nothing stripped: what a schema does not name is an error that names it. */
const validatorCompiler: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => (data: unknown) => {
  // Node joins or drops what came twice: whoever wants a header reads it raw.
  if (httpPart === 'headers') return { value: data }
  // An absent body arrives here as null.
  const value = httpPart === 'body' && data === null ? {} : httpPart === 'querystring' ? parseIntegers(schema, data) : data
  const fault = Value.Errors(schema, value).First()
  if (fault === undefined) return { value }
  const error = { instancePath: shownName(fault.path), message: explain(fault), keyword: '', schemaPath: '', params: {} }
  return { error: [error] as unknown as Error }
}

/** A query is text: where an integer is asked for, the digits of one are read. Anything else stays what it is, and is refused. */
function parseIntegers ({ properties }: TSchema, query: unknown): unknown {
  const wanted = properties as Record<string, TSchema>
  return Object.fromEntries(Object.entries(query as object).map(([name, value]) => {
    const digits = Object.hasOwn(wanted, name) && wanted[name]!.type === 'integer' && typeof value === 'string' && /^(0|[1-9]\d{0,14})$/.test(value)
    return [name, digits ? Number(value) : value]
  }))
}

/** Only what the schema names leaves; the body of an error is the host's and passes as it is. */
const serializerCompiler: FastifySerializerCompiler<TSchema> = ({ schema, httpStatus }) =>
  /^[45]/.test(httpStatus!)
    ? (error: unknown) => JSON.stringify(error instanceof Error ? errorBody(error) : error)
    : (data: unknown) => JSON.stringify(Value.Clean(schema, JSON.parse(JSON.stringify(data))))

/** The members of Fastify's own error body, which are not enumerable where it hands them over. */
function errorBody (error: Error): object {
  const { statusCode, code, error: title, message } = error as Error & { statusCode?: number, code?: string, error?: string }
  return { statusCode, code, error: title, message }
}

function explain ({ message, schema, value }: ValueError): string {
  const choices = schema.anyOf as Array<{ const?: unknown, type: string }> | undefined
  if (choices?.[0]!.const !== undefined) return `must be one of ${choices.map((choice) => choice.const).join(', ')}`
  if (choices !== undefined) return `must be ${choices.map(({ type }) => type).join(' or ')}`
  if (message === 'Unexpected property') return 'is not known here'
  return value === undefined ? 'is required' : message.replace('Expected', 'must be').toLowerCase()
}
