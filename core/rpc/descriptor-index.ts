import {
  createFileRegistry,
  type DescFile,
  type FileRegistry,
  fromBinary,
  toBinary,
} from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';

/** The .proto files of a descriptor set, found by what they declare. */
export class DescriptorIndex {
  readonly #registry: FileRegistry;
  readonly #fileBySymbol = new Map<string, DescFile>();
  readonly #extensions = new Map<string, Map<number, DescFile>>();

  /** `descriptorSet` is a serialised google.protobuf.FileDescriptorSet with all imports. */
  constructor(descriptorSet: Uint8Array) {
    this.#registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, descriptorSet));
    for (const type of this.#registry) {
      this.#fileBySymbol.set(type.typeName, type.file);
      if (type.kind === 'service') {
        for (const method of type.methods)
          this.#fileBySymbol.set(`${type.typeName}.${method.name}`, type.file);
      }
      if (type.kind === 'extension') {
        const numbers = this.#extensions.get(type.extendee.typeName) ?? new Map<number, DescFile>();
        this.#extensions.set(type.extendee.typeName, numbers.set(type.number, type.file));
      }
    }
  }

  /** By the path that imports name it with. */
  fileByName(name: string): DescFile | undefined {
    return this.#registry.getFile(name);
  }

  /** By the full name of a service, method, message, enum or extension that it declares. */
  fileBySymbol(symbol: string): DescFile | undefined {
    return this.#fileBySymbol.get(symbol);
  }

  fileByExtension(messageName: string, fieldNumber: number): DescFile | undefined {
    return this.#extensions.get(messageName)?.get(fieldNumber);
  }

  /** Field numbers of a message's extensions, or undefined when there is no such message. */
  extensionNumbers(messageName: string): number[] | undefined {
    if (this.#registry.getMessage(messageName) === undefined) return undefined;
    return [...(this.#extensions.get(messageName)?.keys() ?? [])].sort((a, b) => a - b);
  }

  /** The file and all that it imports, serialised, but for those in `sent`, which then holds them too. */
  serializeWithImports(file: DescFile, sent: Set<string>): Buffer[] {
    if (sent.has(file.name)) return [];
    sent.add(file.name);
    const own = Buffer.from(toBinary(FileDescriptorProtoSchema, file.proto));
    return [own, ...file.dependencies.flatMap((imported) => this.serializeWithImports(imported, sent))];
  }
}
