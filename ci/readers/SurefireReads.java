import java.io.File;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import org.apache.maven.plugin.surefire.log.api.NullConsoleLogger;
import org.apache.maven.plugins.surefire.report.ReportTestCase;
import org.apache.maven.plugins.surefire.report.ReportTestSuite;
import org.apache.maven.plugins.surefire.report.SurefireReportParser;

/** What Surefire's report parser finds in a folder of reports. */
public class SurefireReads {
  private static String message(ReportTestCase one) {
    String message = one.getFailureMessage();
    return "\t" + (message == null ? "" : message.trim().replaceAll("\\s+", " "));
  }

  public static void main(String[] arguments) throws Exception {
    SurefireReportParser parser = new SurefireReportParser(
        Collections.singletonList(new File(arguments[0])), Locale.ENGLISH, new NullConsoleLogger());
    int tests = 0, failures = 0, errors = 0, skipped = 0;
    List<String> lines = new ArrayList<>();
    for (ReportTestSuite suite : parser.parseXMLReportFiles()) {
      for (ReportTestCase one : suite.getTestCases()) {
        tests++;
        if (one.hasError()) { errors++; lines.add("error " + one.getName() + message(one)); }
        else if (one.hasFailure()) { failures++; lines.add("failure " + one.getName() + message(one)); }
        else if (one.hasSkipped()) { skipped++; lines.add("skipped " + one.getName() + message(one)); }
      }
    }
    Collections.sort(lines);
    System.out.printf("tests=%d failures=%d errors=%d skipped=%d%n", tests, failures, errors, skipped);
    System.out.println(String.join("\n", lines));
  }
}
