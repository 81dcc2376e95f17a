// Keeps what is printed free of the passwords of addresses, whoever wrote the message.

/** @returns the text with `***` for every password that the command was given */
export function withoutPasswords (text: string, argv: readonly string[], env: Readonly<Record<string, string | undefined>>): string {
  const secrets = [env.DATABASE_URL ?? '', ...argv].flatMap(passwordsIn).sort((a, b) => b.length - a.length)
  // What looks like an address loses its password too, also where it cannot be read as one.
  return secrets.reduce((rest, secret) => rest.replaceAll(secret, '***'), text.replace(/:\/\/[^\s/]*@/g, '://***@'))
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
