// What is printed of an error: its words, free of the passwords that the command was given, whoever wrote them.

/** @returns the message with `***` for every password */
export function errorText (error: unknown, argv: readonly string[], env: Readonly<Record<string, string | undefined>>): string {
  const { errors } = error as { errors?: Error[] }
  // A server of several addresses gives an error for each, and none of its own.
  const text = [error as Error, errors].flat().map((one) => one?.message).filter(Boolean).join('; ')
  const secrets = [env.DATABASE_URL ?? '', ...argv].flatMap(passwordsIn).sort((a, b) => b.length - a.length)
  // What looks like an address loses its password too, also where it cannot be read as one.
  return secrets.reduce((rest, secret) => rest.replaceAll(secret, '***'), text.replace(/:\/\/\S*@/g, '://***@'))
}

/** The passwords in an address, as they are written and as they are meant. */
function passwordsIn (word: string): string[] {
  const address = word.replace(/^--url=/, '')
  if (!URL.canParse(address)) return []
  const { password, searchParams } = new URL(address)
  return [password, decoded(password), searchParams.get('password') ?? ''].filter((secret) => secret !== '')
}

function decoded (text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
