import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.util.regex.Pattern;

/** Prints which probes match which patterns as a whole, as java.util.regex and validation in Java say. */
public class Probes {
  public static void main(String[] arguments) throws Exception {
    for (JsonNode one : new ObjectMapper().readTree(new File(arguments[0]))) {
      Pattern pattern = Pattern.compile(one.get(0).asText());
      for (JsonNode probe : one.get(1)) {
        System.out.print(pattern.matcher(probe.asText()).matches() ? "1" : "0");
      }
      System.out.println();
    }
  }
}
