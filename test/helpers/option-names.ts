// The names of the host's options, read from the types that declare them.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'

const ROOT = join(import.meta.dirname, '..', '..')

/** The interfaces that the files of the host's options declare, by name. */
export function declarations (): Map<string, ts.NodeArray<ts.TypeElement>> {
  const interfaces = new Map<string, ts.NodeArray<ts.TypeElement>>()
  for (const file of ['lib/options/options.ts', 'lib/options/policy-options.ts', 'lib/options/dashboard-options.ts', 'lib/options/secret-scanning-options.ts']) {
    ts.createSourceFile(file, readFileSync(join(ROOT, file), 'utf8'), ts.ScriptTarget.Latest, true)
      .forEachChild((node) => { if (ts.isInterfaceDeclaration(node)) interfaces.set(node.name.text, node.members) })
  }
  return interfaces
}

/** Every option there is, as a path from the top. */
export function optionNames (): string[] {
  const interfaces = declarations()
  const membersOf = (type: ts.TypeNode | undefined): readonly ts.TypeElement[] => {
    if (type === undefined) return []
    if (ts.isTypeLiteralNode(type)) return type.members
    if (ts.isUnionTypeNode(type)) return type.types.flatMap((one) => membersOf(one))
    if (ts.isArrayTypeNode(type)) return membersOf(type.elementType)
    if (!ts.isTypeReferenceNode(type)) return []
    const name = type.typeName.getText()
    return name === 'Array' ? membersOf(type.typeArguments![0]) : interfaces.get(name) ?? []
  }
  const walk = (members: readonly ts.TypeElement[], path: string): string[] => [...new Set(members.flatMap((member) => {
    if (!ts.isPropertySignature(member)) return []
    const name = `${path}${member.name.getText()}`
    return [name, ...walk(membersOf(member.type), `${name}.`)]
  }))]
  return walk(interfaces.get('SelfServeKeysOptions')!, '')
}
