// Kafka's command line tools one after another in one process, which is ten times cheaper than a process for each:
//
//   java -cp 'JARS/*' Tools.java
//
// Reads commands from stdin, a line each: the main class and its arguments, tabs between. Answers each with a line
// `CODE MILLISECONDS OUT ERR`, then OUT bytes of what the tool said on stdout, and ERR bytes of stderr. CODE is -1 where it
// did not come to its end within a minute; what its thread was doing is then the last of what is said on stderr.
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.util.Arrays;
import org.apache.kafka.common.utils.Exit;

public class Tools {
    static final long MILLISECONDS_MAX = 60_000;
    static final ByteArrayOutputStream out = new ByteArrayOutputStream(), err = new ByteArrayOutputStream();
    static boolean ended;
    static int code;

    static class Ended extends Error {}  // no Exception: tools catch those

    static void run(String[] words) {
        try {
            Class.forName(words[0]).getMethod("main", String[].class)
                .invoke(null, (Object) Arrays.copyOfRange(words, 1, words.length));
        } catch (InvocationTargetException thrown) {
            if (thrown.getCause() instanceof Ended) return;
            thrown.getCause().printStackTrace();  // as java does
            end(1);
        } catch (ReflectiveOperationException wrong) {
            wrong.printStackTrace();
            end(1);
        }
    }

    static synchronized void end(int status) {
        if (ended) return;  // the first one counts: the tool may catch what is thrown, complain, and exit again
        ended = true;
        code = status;
        System.setOut(new PrintStream(OutputStream.nullOutputStream()));
        System.setErr(new PrintStream(OutputStream.nullOutputStream()));
    }

    static void exit(int status, String message) {
        end(status);
        throw new Ended();
    }

    public static void main(String[] none) throws Exception {
        Exit.setExitProcedure(Tools::exit);
        Exit.setHaltProcedure(Tools::exit);
        PrintStream answers = System.out;
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = commands.readLine()) != null;) {
            String[] words = line.split("\t", -1);
            out.reset();
            err.reset();
            System.setOut(new PrintStream(out, true));
            System.setErr(new PrintStream(err, true));
            ended = false;
            code = 0;
            long began = System.nanoTime();
            Thread tool = new Thread(() -> run(words));
            tool.setDaemon(true);
            tool.start();
            tool.join(MILLISECONDS_MAX);
            if (tool.isAlive()) {
                for (StackTraceElement frame : tool.getStackTrace()) System.err.println("    at " + frame);
                end(-1);
            }
            end(0);
            long took = (System.nanoTime() - began) / 1_000_000;
            answers.println(code + " " + took + " " + out.size() + " " + err.size());
            out.writeTo(answers);
            err.writeTo(answers);
            answers.flush();
        }
        Runtime.getRuntime().halt(0);  // a tool that hangs does not keep this
    }
}
