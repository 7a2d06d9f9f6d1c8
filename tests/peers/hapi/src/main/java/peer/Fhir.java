package peer;

import ca.uhn.fhir.batch2.jobs.export.BulkDataExportProvider;
import ca.uhn.fhir.batch2.jobs.imprt.BulkDataImportProvider;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.provider.IJpaSystemProvider;
import ca.uhn.fhir.jpa.provider.JpaCapabilityStatementProvider;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.rest.api.EncodingEnum;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.interceptor.RequestValidatingInterceptor;
import ca.uhn.fhir.rest.server.provider.ResourceProviderFactory;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import ca.uhn.fhir.validation.IValidatorModule;
import ca.uhn.fhir.validation.ResultSeverityEnum;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;

/** One FHIR server with a database of its own. */
final class Fhir extends RestfulServer {
  private final transient Options options;

  Fhir(Options options) {
    this.options = options;
  }

  @Override
  protected void initialize() {
    AnnotationConfigApplicationContext context = new AnnotationConfigApplicationContext();
    context.registerBean(Options.class, () -> options);
    context.register(Settings.class);
    context.refresh();

    IFhirSystemDao<?, ?> system = context.getBean(IFhirSystemDao.class);
    setFhirContext(system.getContext());
    registerProviders(context.getBean(ResourceProviderFactory.class).createProviders());
    registerProvider(context.getBean(IJpaSystemProvider.class));
    registerProvider(context.getBean(BulkDataExportProvider.class));
    registerProvider(context.getBean(BulkDataImportProvider.class));
    setServerConformanceProvider(
        new JpaCapabilityStatementProvider(
            this,
            system,
            context.getBean(JpaStorageSettings.class),
            context.getBean(ISearchParamRegistry.class),
            context.getBean(IValidationSupport.class)));
    setDefaultResponseEncoding(EncodingEnum.JSON);
    setPagingProvider(context.getBean(DatabaseBackedPagingProvider.class));
    if (options.validate) {
      RequestValidatingInterceptor validation = new RequestValidatingInterceptor();
      validation.setFailOnSeverity(ResultSeverityEnum.ERROR);
      validation.addValidatorModule(context.getBean(IValidatorModule.class));
      registerInterceptor(validation);
    }
  }
}
