// Random messages in Kafka's own encoding, 200 for each API key, version and direction.
//
// For each message class of kafka-clients, the generated schema of a version says which fields that
// version has. A JSON tree is filled at random along it, Kafka's generated JSON converter turns the
// tree into a message, and Kafka's generated code encodes the message. So what a version cannot say
// is never set, and nothing of Leat takes part.
//
// One file per key: the uncompressed size (int32), then a zlib stream of entries
//     int8 direction (0 request, 1 response), int16 version, int32 size, message
// Integers are big-endian. Beside them tables.txt: Kafka's error codes and header versions.
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.*;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.nio.ByteBuffer;
import java.nio.file.*;
import java.util.*;
import java.util.zip.*;
import org.apache.kafka.common.errors.InvalidMetadataException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.message.*;
import org.apache.kafka.common.protocol.*;
import org.apache.kafka.common.protocol.types.*;

public class GenerateVectors {
    static final int PER_PAIR = 200;
    static final int[] KEYS = {0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 29,
            30, 31, 32, 33, 35, 36, 37, 42, 43, 44, 45, 46, 47, 48, 49, 50, 55, 57, 60, 61, 68, 69, 74, 75};
    static final JsonNodeFactory JSON = JsonNodeFactory.instance;

    public static void main(String[] arguments) throws Exception {
        Path folder = Path.of(arguments[0]);
        Files.createDirectories(folder);
        int pairs = 0;
        for (int key : KEYS) {
            ApiMessageType type = ApiMessageType.fromApiKey((short) key);
            Output output = new Output();
            pairs += output.all(0, key, type.newRequest(), type.requestSchemas());
            pairs += output.all(1, key, type.newResponse(), type.responseSchemas());
            output.save(folder.resolve(String.format("%02d.z", key)));
        }
        Output output = new Output();
        pairs += output.all(
                0, 1000, new ConsumerProtocolSubscription(), ConsumerProtocolSubscription.SCHEMAS);
        pairs += output.all(
                1, 1000, new ConsumerProtocolAssignment(), ConsumerProtocolAssignment.SCHEMAS);
        output.save(folder.resolve("consumer_protocol.z"));
        saveTables(folder.resolve("tables.txt"));
        System.out.println(pairs + " pairs, " + pairs * PER_PAIR + " messages");
    }

    /** What Kafka says of its errors, and of the headers of each version. */
    static void saveTables(Path path) throws Exception {
        StringBuilder text = new StringBuilder();
        for (Errors error : Errors.values())
            text.append("error ")
                    .append(error.code())
                    .append(' ')
                    .append(error.name())
                    .append(error.exception() instanceof RetriableException ? " retriable"
                                                                            : " final")
                    .append(error.exception() instanceof InvalidMetadataException ? " stale"
                                                                                  : " fresh")
                    .append('\n');
        for (int key : KEYS) {
            ApiMessageType type = ApiMessageType.fromApiKey((short) key);
            for (short version = type.lowestSupportedVersion();
                    version <= type.highestSupportedVersion(true); version++)
                text.append("header ")
                        .append(key)
                        .append(' ')
                        .append(type.name)
                        .append(' ')
                        .append(version)
                        .append(' ')
                        .append(type.requestHeaderVersion(version))
                        .append(' ')
                        .append(type.responseHeaderVersion(version))
                        .append('\n');
        }
        Files.writeString(path, text);
    }

    static class Output {
        final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        final DataOutputStream data = new DataOutputStream(bytes);

        int all(int direction, int key, Message empty, Schema[] schemas) throws Exception {
            int pairs = 0;
            for (short version = empty.lowestSupportedVersion();
                    version <= empty.highestSupportedVersion(); version++, pairs++) {
                for (int i = 0; i < PER_PAIR; i++) {
                    long seed = ((key * 2L + direction) * 100 + version) * 1000 + i;
                    Tree tree = new Tree(new Random(seed * 0x9E3779B97F4A7C15L));
                    byte[] encoded =
                            encode(empty.getClass(), tree.struct(schemas[version]), version);
                    data.writeByte(direction);
                    data.writeShort(version);
                    data.writeInt(encoded.length);
                    data.write(encoded);
                }
            }
            return pairs;
        }

        void save(Path path) throws Exception {
            ByteArrayOutputStream packed = new ByteArrayOutputStream();
            new DataOutputStream(packed).writeInt(bytes.size());
            try (DeflaterOutputStream zlib = new DeflaterOutputStream(packed, new Deflater(9))) {
                bytes.writeTo(zlib);
            }
            Files.write(path, packed.toByteArray());
        }
    }

    static byte[] encode(Class<?> message, JsonNode tree, short version) throws Exception {
        Message filled = (Message) Class.forName(message.getName() + "JsonConverter")
                                 .getMethod("read", JsonNode.class, short.class)
                                 .invoke(null, tree, version);
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer buffer = ByteBuffer.allocate(filled.size(cache, version));
        filled.write(new ByteBufferAccessor(buffer), cache, version);
        if (buffer.hasRemaining())
            throw new IllegalStateException("size() of " + message + " v" + version);
        return buffer.array();
    }

    /**
     * Fills a tree along a schema. Small, but with every edge: null, empty, extremes, two-byte
     * lengths.
     */
    static class Tree {
        final Random random;

        Tree(Random random) {
            this.random = random;
        }

        ObjectNode struct(Schema schema) {
            ObjectNode node = JSON.objectNode();
            for (BoundField field : schema.fields()) {
                if (field.def.type instanceof TaggedFields) {
                    for (Field tagged : ((TaggedFields) field.def.type).fields().values())
                        if (random.nextBoolean())
                            node.set(camel(tagged.name), value(tagged.type));
                } else {
                    node.set(camel(field.def.name), value(field.def.type));
                }
            }
            return node;
        }

        JsonNode value(Type type) {
            if (type.isNullable() && random.nextInt(4) == 0)
                return JSON.nullNode();
            if (type.arrayElementType().isPresent())
                return array(type.arrayElementType().get());
            if (type instanceof Schema)
                return struct((Schema) type);
            switch (type.toString()) {
                case "BOOLEAN":
                    return JSON.booleanNode(random.nextBoolean());
                case "INT8":
                    return JSON.numberNode((short) (byte) number());
                case "INT16":
                    return JSON.numberNode((short) number());
                case "UINT16":
                    return JSON.numberNode((int) number() & 0xffff);
                case "INT32":
                    return JSON.numberNode((int) number());
                case "UINT32":
                    return JSON.numberNode(number() & 0xffffffffL);
                case "INT64":
                    return JSON.numberNode(number());
                case "FLOAT64":
                    return JSON.numberNode(random.nextGaussian());
                case "UUID":
                    return JSON.textNode(uuid().toString());
            }
            String name = type.toString();
            if (name.endsWith("STRING"))
                return JSON.textNode(text());
            if (name.endsWith("BYTES") || name.endsWith("RECORDS"))
                return JSON.binaryNode(bytes());
            throw new IllegalStateException("type " + name);
        }

        ArrayNode array(Type element) {
            boolean struct = element instanceof Schema;
            int size = random.nextInt(4);
            if (!struct && random.nextInt(100) == 0)
                size = 126 + random.nextInt(6);
            ArrayNode array = JSON.arrayNode();
            for (int i = 0; i < size; i++) array.add(value(element));
            return array;
        }

        long number() {
            switch (random.nextInt(8)) {
                case 0:
                    return 0;
                case 1:
                    return -1;
                case 2:
                    return Long.MAX_VALUE >> random.nextInt(64);
                case 3:
                    return Long.MIN_VALUE >> random.nextInt(64);
                case 4:
                    return random.nextLong();
                default:
                    return random.nextInt(200) - 20;
            }
        }

        int length() {
            return random.nextInt(60) == 0 ? 120 + random.nextInt(20) : random.nextInt(9);
        }

        String text() {
            StringBuilder text = new StringBuilder();
            for (int left = length(); left > 0; left--)
                text.appendCodePoint(random.nextInt(30) == 0 ? 0x20ac + random.nextInt(20000)
                                                             : 'a' + random.nextInt(6));
            return text.toString();
        }

        byte[] bytes() {
            byte[] bytes = new byte[length()];
            random.nextBytes(bytes);
            return bytes;
        }

        org.apache.kafka.common.Uuid uuid() {
            return random.nextInt(4) == 0
                    ? org.apache.kafka.common.Uuid.ZERO_UUID
                    : new org.apache.kafka.common.Uuid(random.nextLong(), random.nextLong());
        }

        static String camel(String snake) {
            StringBuilder camel = new StringBuilder();
            for (String word : snake.split("_"))
                camel.append(camel.length() == 0
                                ? word
                                : Character.toUpperCase(word.charAt(0)) + word.substring(1));
            return camel.toString();
        }
    }
}
