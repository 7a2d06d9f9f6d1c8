package peer;

import ca.uhn.fhir.batch2.api.IJobMaintenanceService;
import ca.uhn.fhir.batch2.maintenance.JobMaintenanceServiceImpl;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.context.annotation.Configuration;

/** Each step of a job waits for the next look of the scheduler, once a minute if nobody says so. */
@Configuration
public class Often {
  @Autowired
  void look(IJobMaintenanceService jobs) {
    ((JobMaintenanceServiceImpl) jobs).setScheduledJobFrequencyMillis(200);
  }
}
